"""Pipeline configs: load, override, check and save.

- :mod:`recinfer.config.load`: text to :class:`~recinfer.protos.pipeline_pb2.EasyRecConfig`; errors name the line.
- :mod:`recinfer.config.override`: changes from the command line, ``data_config.batch_size=4096`` or ``{"a.b": 1}``.
- :mod:`recinfer.config.check`: everything that is wrong with a config, in one go, from the config alone.
- :mod:`recinfer.config.save`: back to text.
"""
