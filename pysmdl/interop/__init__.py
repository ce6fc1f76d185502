"""Ways in from other packages: Captum and Quantus (:mod:`pysmdl.compat`), shapiq (:class:`pysmdl.Game`)."""
