"""What holds for all tests."""

from hypothesis import settings

# A test is never an assertion on wall time: not on a machine that runs two of them at once either.
settings.register_profile("gauger", deadline=None)
settings.load_profile("gauger")
