//! Exact metrics of anomaly detection: AUROC, AP, F1-max and AUPRO.
