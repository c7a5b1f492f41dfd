"""What must survive: students, their sessions, their labs and action logs, answers and check results,
shared runs, in SQLite."""

from app.web.store.database import Database, StoreError, data_directory, open_database
from app.web.store.labs import Beginning, LabRow, LabStore
from app.web.store.leases import Lease, LeaseChanged, LeaseStore, Taken
from app.web.store.logs import Reply
from app.web.store.results import Progress, ResultStore
from app.web.store.sharing import SharedRun, SharedStore
from app.web.store.students import StudentStore
from app.web.store.tournament import EntryStore, NameTaken

__all__ = [
    "Beginning",
    "Database",
    "EntryStore",
    "LabRow",
    "LabStore",
    "Lease",
    "LeaseChanged",
    "LeaseStore",
    "NameTaken",
    "Progress",
    "Reply",
    "ResultStore",
    "SharedRun",
    "SharedStore",
    "StoreError",
    "StudentStore",
    "Taken",
    "data_directory",
    "open_database",
]
