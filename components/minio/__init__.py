"""Object storage: an S3 service of our own (MinIO-compatible, erasure coded), or any S3 that the site has already."""
