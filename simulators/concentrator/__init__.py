"""A simulated concentrator: Q/GDW 376.1 over TCP, with DL/T 645 meters behind it.

It dials in to a master (or listens), logs in, sends heartbeats, keeps an archive and day freezes,
forwards frames to its meters, and misbehaves when the control port says so.
"""
