"""Where the parts of a job are made: in this process, in processes of this machine, or by workers of a Ray cluster."""
