"""Where jobs run: this process, processes of this machine, a cluster. A flag chooses."""
