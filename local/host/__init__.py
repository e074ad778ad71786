"""What concerns this machine and no AWS service: processes, certificates, running an image's files."""
