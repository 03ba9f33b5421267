"""The one path of every save, to its end: what is asked, checked, rendered, recorded, deployed and proved."""
