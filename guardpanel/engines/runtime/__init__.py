"""What changes in the running HAProxy without a reload: certificates, entries of maps, bans."""
