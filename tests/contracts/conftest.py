from tests.storage.conftest import database_file, migrated_file

__all__ = ["database_file", "migrated_file"]
