"""PostgreSQL by CloudNativePG: replicated synchronously, backed up continuously, restored by a setting."""
