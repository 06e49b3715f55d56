use std::time::Duration;

use pkcs8::der::asn1::BitString;
use rcgen::{
    BasicConstraints as Constraints, CertificateParams, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints as Names, SigningKey,
    date_time_ymd,
};
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::server::danger::ClientCertVerifier;

use super::super::peers::{Clients, Masters};
use super::*;
use crate::settings::ClientAuth;

type Signer = Issuer<'static, KeyPair>;

/// A CA's certificate, its parameters changed, and what signs with its key.
fn authority(change: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, Signer) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(Constraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    change(&mut params);
    let cert = params.self_signed(&key).unwrap();
    (cert.der().clone(), Issuer::new(params, key))
}

/// A certificate of version 3 and its key.
fn signed(by: &Signer, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "peer");
    change(&mut params);
    params.signed_by(&key, by).unwrap().der().clone()
}

/// A certificate of version 1, changed before it is signed.
fn old(by: &Signer, change: impl FnOnce(&mut TbsCertificate)) -> CertificateDer<'static> {
    let mut parsed = Certificate::from_der(&signed(by, |_| {})).unwrap();
    let tbs = &mut parsed.tbs_certificate;
    (tbs.version, tbs.extensions) = (Version::V1, None);
    change(tbs);
    let signature = by.key().sign(&tbs.to_der().unwrap()).unwrap();
    parsed.signature = BitString::from_bytes(&signature).unwrap();
    parsed.to_der().unwrap().into()
}

fn trusting(certs: &[&CertificateDer<'static>]) -> Arc<Authorities> {
    let mut authorities = Authorities::new();
    for cert in certs {
        assert!(authorities.trust((*cert).clone()).unwrap());
    }
    Arc::new(authorities)
}

const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000));

/// Whether a peer with this certificate is accepted as a client and as a server, where all checks
/// agree on it.
fn accepts(authorities: &Arc<Authorities>, own: &CertificateDer<'_>) -> (bool, bool) {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let clients = Clients::new(ClientAuth::Yes, authorities, provider).unwrap().unwrap();
    let masters = Masters { authorities: Arc::clone(authorities), algorithms };
    let name = ServerName::try_from("elsewhere").unwrap();
    let as_client = clients.verify_client_cert(own, &[], NOW).is_ok();
    let as_server = masters.verify_server_cert(own, &[], &name, &[], NOW).is_ok();
    (as_client, as_server)
}

#[test]
fn an_old_certificate_is_as_good_as_its_signature() {
    let (cert, by) = authority(|_| {});
    let (_, namesake) = authority(|_| {});
    let trusted = trusting(&[&cert]);
    assert_eq!(accepts(&trusted, &old(&by, |_| {})), (true, true));
    assert_eq!(accepts(&trusted, &old(&namesake, |_| {})), (false, false), "another's key");
    let mut damaged = old(&by, |_| {}).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(accepts(&trusted, &damaged.into()), (false, false));
    let mut changed = Certificate::from_der(&old(&by, |_| {})).unwrap();
    changed.tbs_certificate.serial_number = x509_cert::serial_number::SerialNumber::from(7_u32);
    assert_eq!(accepts(&trusted, &changed.to_der().unwrap().into()), (false, false), "not signed");
}

#[test]
fn an_old_certificate_has_its_times_one_algorithm_and_no_extensions() {
    let (cert, by) = authority(|_| {});
    let trusted = trusting(&[&cert]);
    let in_2020 = signed(&by, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let in_2030 = signed(&by, |params| params.not_before = date_time_ymd(2030, 1, 1));
    let restricted = signed(&by, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    });
    let of = |cert: &CertificateDer<'_>| Certificate::from_der(cert).unwrap().tbs_certificate;
    let other = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
    for (what, cert) in [
        ("expired", old(&by, |tbs| tbs.validity = of(&in_2020).validity)),
        ("not valid yet", old(&by, |tbs| tbs.validity = of(&in_2030).validity)),
        ("two algorithms", old(&by, |tbs| tbs.signature.oid = other)),
        ("extensions", old(&by, |tbs| tbs.extensions = of(&restricted).extensions)),
    ] {
        assert_eq!(accepts(&trusted, &cert), (false, false), "{what}");
    }
}

#[test]
fn no_certificate_is_better_than_the_authority_s() {
    let (expired, by_expired) = authority(|params| params.not_after = date_time_ymd(2020, 1, 1));
    let (valid, by_valid) = authority(|_| {});
    let trusted = trusting(&[&expired, &valid]);
    for cert in [signed(&by_expired, |_| {}), old(&by_expired, |_| {}), expired.clone()] {
        assert_eq!(accepts(&trusted, &cert), (false, false), "the CA is no longer valid");
        assert_eq!(accepts(&trusting(&[&expired]), &cert), (false, false), "with no other");
    }
    for cert in [signed(&by_valid, |_| {}), old(&by_valid, |_| {})] {
        assert_eq!(accepts(&trusted, &cert), (true, true), "another CA is valid");
    }
    let (cert, by) = authority(|params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("localhost".to_owned())];
        params.name_constraints = Some(Names { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    assert_eq!(accepts(&trusting(&[&cert]), &signed(&by, |_| {})), (true, true));
    assert_eq!(accepts(&trusting(&[&cert]), &old(&by, |_| {})), (false, false), "has no names");
    let (cert, by) = authority(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(accepts(&trusting(&[&cert]), &old(&by, |_| {})), (true, false));
    assert_eq!(accepts(&trusting(&[&cert]), &cert), (true, false));
}

#[test]
fn only_authorities_sign() {
    let (_, leaf) = authority(|params| params.is_ca = IsCa::ExplicitNoCa);
    let refuses = |change: fn(&mut CertificateParams)| {
        let (cert, _) = authority(change);
        matches!(Authorities::new().trust(cert), Err(NotTrusted::NoAuthority))
    };
    assert!(refuses(|params| params.is_ca = IsCa::ExplicitNoCa));
    assert!(refuses(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]));
    let (root, by) = authority(|_| {});
    let signer = Certificate::from_der(&old(&by, |_| {})).unwrap();
    let own = old(&leaf, |tbs| tbs.issuer = signer.tbs_certificate.subject);
    assert_eq!(accepts(&trusting(&[&root]), &own), (false, false), "an old one signs none");

    let (cert, by) = authority(|params| params.is_ca = IsCa::NoCa);
    let trusted = trusting(&[&cert]);
    assert_eq!(trusted.counts(), (1, 0));
    assert_eq!(accepts(&trusted, &cert), (true, true), "itself, as one for everything");
    for cert in [signed(&by, |_| {}), old(&by, |_| {})] {
        assert_eq!(accepts(&trusted, &cert), (false, false), "what it has signed");
    }
}

#[test]
fn a_trusted_certificate_is_for_what_its_extensions_say() {
    for (usages, expected) in [
        (vec![], (true, true)),
        (vec![KeyUsagePurpose::KeyCertSign], (false, false)),
        (vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature], (true, true)),
        (vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::KeyEncipherment], (false, true)),
    ] {
        let (cert, _) = authority(|params| params.key_usages.clone_from(&usages));
        assert_eq!(accepts(&trusting(&[&cert]), &cert), expected, "{usages:?}");
    }
}
