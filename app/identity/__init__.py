"""Who somebody is, and what that one may do. Decides; stores nothing."""
