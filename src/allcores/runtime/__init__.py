"""Actions: the calling thread's half, the pump, its helper thread, and what the machine is."""
