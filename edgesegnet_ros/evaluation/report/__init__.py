"""Building blocks of the HTML reports: pages, plots, image panels, sentences and gates."""
