//! Points as InfluxDB line protocol.
