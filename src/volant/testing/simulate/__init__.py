"""Simulated users: they see answers of a running service and say something to them, each by a habit of their own.

They know the service only by its HTTP interface, and the truth only as somebody in front of a case would. Everything
random follows from a seed. Nothing here imports the code that it is there to test.
"""

from volant.testing.simulate.searchers import Searcher, clicks
from volant.testing.simulate.service import Desk, Service
from volant.testing.simulate.session import Said, Session, reply, simulate
from volant.testing.simulate.users import HABITS, User, crowd

__all__ = [
    "HABITS",
    "Desk",
    "Said",
    "Searcher",
    "Service",
    "Session",
    "User",
    "clicks",
    "crowd",
    "reply",
    "simulate",
]
