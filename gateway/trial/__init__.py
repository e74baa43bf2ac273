"""Policies tried without serving: the real code and the real scripts, under a clock that does not wait."""
