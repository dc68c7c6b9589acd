"""Tables in, tables out: inputs, work units, readers, writers and the commit protocol. Usable without any model."""
