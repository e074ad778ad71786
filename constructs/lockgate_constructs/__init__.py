"""Building blocks that know AWS and nothing of an environment's configuration: one noun a file.

They name no physical resource; a name that somebody outside must know is handed in.
"""
