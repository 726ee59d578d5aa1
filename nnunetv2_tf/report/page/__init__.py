"""The page of a set. In: a part of a set. Out: report.html, one file that needs no other."""
