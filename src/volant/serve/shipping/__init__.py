"""What runs the service elsewhere: files for Docker, systemd and Kubernetes."""
