"""Metering under kills: windows are what a recount of the stream says, to the unit."""
