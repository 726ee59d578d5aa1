"""Collections of healthy scans: the only folder that knows IXI, PPMI, BIDS and DICOM."""
