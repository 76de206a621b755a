from tests.storage.conftest import database, database_file, migrated_file, store

__all__ = ["database", "database_file", "migrated_file", "store"]
