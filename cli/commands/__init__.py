"""The commands of lockgate, one file a command."""
