"""The commands: they parse, call :mod:`recinfer.main`, print, and set the exit code. Nothing else prints."""
