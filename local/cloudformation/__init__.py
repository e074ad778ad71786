"""CloudFormation: types that the emulator lacks, a stack's own role, drift."""
