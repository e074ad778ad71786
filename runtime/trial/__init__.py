"""A model tried on training rows alone, in a folder that has what the image of a commit has: `lockgate try`."""
