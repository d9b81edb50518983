//! Windows, series, percentiles: what is counted.
