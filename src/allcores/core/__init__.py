"""Decisions. Pure: no clock, no thread, no socket, no operating system; time, facts and chance are arguments."""
