/**
 * The certificate of the simulated media host, for 127.0.0.1 and localhost only. It certifies no
 * other certificate, and its private key is public on purpose (`media-host.ts`): trusting it trusts
 * whoever listens on loopback.
 */
export const MEDIA_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBlzCCAUmgAwIBAgIBATAFBgMrZXAwOjE4MDYGA1UEAwwvV2hhdHNBcHAgc2lt
dWxhdG9yIG1lZGlhIGhvc3QgKHB1YmxpYyB0ZXN0IGtleSkwIBcNMjAwMTAxMDAw
MDAwWhgPMjEyMDAxMDEwMDAwMDBaMDoxODA2BgNVBAMML1doYXRzQXBwIHNpbXVs
YXRvciBtZWRpYSBob3N0IChwdWJsaWMgdGVzdCBrZXkpMCowBQYDK2VwAyEAiThW
IOnaLmUdj/662FV4lMpUDRgdYpudHLFpnZeY5najcjBwMAwGA1UdEwEB/wQCMAAw
LAYDVR0RBCUwI4cEfwAAAYcQAAAAAAAAAAAAAAAAAAAAAYIJbG9jYWxob3N0MBMG
A1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQWBBT7wwR+0lfxrF5rJFxSkek3DjEI
zjAFBgMrZXADQQDVyXCr/eGBmiEooKB6XLZuI1sTCR+V+8qGPHVmHPA7MZswL469
3iMqSN1UWwLOzPPJcuMwVVxCt7PkAirOhIEP
-----END CERTIFICATE-----
`;
