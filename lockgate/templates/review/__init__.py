"""What a reviewer must know of an infrastructure change, from two cloud assemblies."""
