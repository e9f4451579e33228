"""Plans and quotas: what a tenant may use, how much it has used, and when it may go on."""
