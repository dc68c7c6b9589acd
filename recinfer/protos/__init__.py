"""The messages of a pipeline config, generated from ``protos/*.proto`` by ``scripts/generate_protos.sh``.

The root is :class:`recinfer.protos.pipeline_pb2.EasyRecConfig`; every other message lives in the module of its theme.
"""
