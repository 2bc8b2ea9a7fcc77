"""A real installation on one machine without containers: Kafka, PostgreSQL, the services."""
