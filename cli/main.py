"""The command `lockgate`."""
