"""The process group and the sharding plan: what one process and many have in common."""
