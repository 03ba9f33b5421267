"""An existing haproxy.cfg read into what guardpanel can say of it, with one outcome for each of its lines."""
