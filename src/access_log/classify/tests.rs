//! Every row of RGW's tables, and the rules around them.

use proptest::prelude::*;

use super::*;
use crate::access_log::{MarkKey, PlainTarget, ProbeMark, Record};

/// A request in short: `METHOD /target`, and `host=…` where it matters.
fn classify(classifier: &Classifier, request: &str, change: impl FnOnce(&mut Asked<'_>)) -> String {
    let (method, uri) = request.split_once(' ').unwrap_or((request, ""));
    let (uri, host) =
        uri.split_once(" host=").map_or((uri, None), |(uri, host)| (uri, Some(host.as_bytes())));
    let mut asked =
        Asked { method: method.as_bytes(), uri: uri.as_bytes(), host, status: 200, ..Asked::default() };
    change(&mut asked);
    let mut scratch = Vec::new();
    let Classified { protocol, operation, class, tenant, bucket, object } =
        classifier.classify(&asked, &mut scratch);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{protocol} {operation} {class} {}|{}|{}", text(tenant), text(bucket), text(object))
}

fn settings() -> ClassifierSettings {
    ClassifierSettings {
        dns_names: vec!["s3.test.local".into()],
        website_dns_names: vec!["web.test.local".into()],
        ..ClassifierSettings::default()
    }
}

fn check(request: &str, expected: &str) {
    assert_eq!(classify(&Classifier::new(settings()), request, |_| {}), expected, "{request}");
}

fn check_release(release: Release, request: &str, expected: &str) {
    let classifier = Classifier::new(ClassifierSettings { release, ..settings() });
    assert_eq!(classify(&classifier, request, |_| {}), expected, "{request} at {release:?}");
}

#[test]
fn s3_service() {
    check("GET /?usage", "s3 get_self_usage bucket_meta ||");
    check("GET /?x-id=ListBuckets", "s3 list_buckets list ||");
    check("HEAD /?x", "s3 list_buckets list ||");
    check("POST /", "sts none sts ||");
    check("POST /?Action=AssumeRole", "sts none sts ||");
    check("POST / host=s3.test.local", "sts none sts ||");
    check("GET /?Action=ListTopics", "s3 list_buckets list ||");
    for method in ["PUT", "DELETE", "OPTIONS", "COPY"] {
        check(&format!("{method} /"), "s3 none other ||");
    }
}

#[test]
fn s3_bucket() {
    for (method, rows) in [
        (
            "GET",
            "logging get_bucket_logging location get_bucket_location versioning get_bucket_versioning website \
             get_bucket_website mdsearch get_bucket_meta_search acl get_acls cors get_cors requestPayment \
             get_request_payment lifecycle get_lifecycle policy get_bucket_policy tagging get_bucket_tags object-lock \
             get_bucket_object_lock notification pubsub_notifications_get_s3 replication get_bucket_replication \
             policyStatus get_bucket_policy_status publicAccessBlock get_bucket_public_access_block encryption \
             get_bucket_encryption",
        ),
        ("HEAD", "acl get_acls location stat_bucket policy stat_bucket versions stat_bucket"),
        (
            "PUT",
            "versioning set_bucket_versioning website set_bucket_website tagging put_bucket_tags acl put_acls cors \
             put_cors requestPayment set_request_payment lifecycle put_lifecycle policy put_bucket_policy object-lock \
             put_bucket_object_lock notification pubsub_notification_create_s3 replication put_bucket_replication \
             publicAccessBlock put_bucket_public_access_block encryption put_bucket_encryption logging \
             put_bucket_logging location create_bucket uploads create_bucket versions create_bucket",
        ),
        (
            "DELETE",
            "tagging delete_bucket_tags cors delete_cors lifecycle delete_lifecycle policy delete_bucket_policy \
             notification pubsub_notification_delete_s3 replication delete_bucket_replication publicAccessBlock \
             delete_bucket_public_access_block encryption delete_bucket_encryption website delete_bucket_website \
             mdsearch delete_bucket_meta_search versioning delete_bucket acl delete_bucket uploads delete_bucket",
        ),
        ("POST", "mdsearch config_bucket_meta_search logging post_bucket_logging"),
        ("OPTIONS", "acl options_cors"),
    ] {
        let words: Vec<&str> = rows.split_whitespace().collect();
        for row in words.chunks(2) {
            check(&format!("{method} /b?{}", row[0]), &format!("s3 {} bucket_meta |b|", row[1]));
            check(&format!("{method} /b/?{}=", row[0]), &format!("s3 {} bucket_meta |b|", row[1]));
        }
    }
    for query in ["", "?list-type=2", "?versions", "?prefix=acl&delimiter=%2F", "?torrent", "?accelerate"] {
        check(&format!("GET /b{query}"), "s3 list_bucket list |b|");
    }
    check("GET /b?uploads", "s3 list_bucket_multiparts list |b|");
    check("HEAD /b?uploads", "s3 list_bucket_multiparts list |b|");
    check("HEAD /b", "s3 stat_bucket bucket_meta |b|");
    check("PUT /b", "s3 create_bucket bucket_meta |b|");
    check("DELETE /b", "s3 delete_bucket bucket_meta |b|");
    check("POST /b?delete", "s3 multi_object_delete delete |b|");
    check("POST /b", "s3 post_obj upload |b|");
    check("POST /b/?uploads", "s3 post_obj upload |b|");
    check("OPTIONS /b", "s3 options_cors bucket_meta |b|");
    check("COPY /b", "s3 none other |b|");
}

#[test]
fn s3_object() {
    for (request, expected) in [
        ("GET /b/k", "get_obj download"),
        ("GET /b/k?versionId=1&partNumber=2", "get_obj download"),
        ("GET /b/k?uploads", "get_obj download"),
        ("GET /b/k?torrent", "get_obj download"),
        ("GET /b/k?X-Amz-Signature=0&X-Amz-Date=acl", "get_obj download"),
        ("GET /b/k?acl", "get_acls object_meta"),
        ("GET /b/k?uploadId=1", "list_multipart list"),
        ("GET /b/k?uploadId=", "list_multipart list"),
        ("GET /b/k?layout", "get_obj_layout object_meta"),
        ("GET /b/k?tagging", "get_obj_tags object_meta"),
        ("GET /b/k?attributes", "get_obj_attrs object_meta"),
        ("GET /b/k?retention", "get_obj_retention object_meta"),
        ("GET /b/k?legal-hold", "get_obj_legal_hold object_meta"),
        ("HEAD /b/k", "get_obj head"),
        ("HEAD /b/k?tagging", "get_obj head"),
        ("HEAD /b/k?acl", "get_acls object_meta"),
        ("HEAD /b/k?uploadId=1", "list_multipart list"),
        ("PUT /b/k", "put_obj upload"),
        ("PUT /b/k?append&position=0", "put_obj upload"),
        ("PUT /b/k?uploads", "put_obj upload"),
        ("PUT /b/k?partNumber=1&uploadId=2", "put_obj upload"),
        ("PUT /b/k?acl", "put_acls object_meta"),
        ("PUT /b/k?tagging", "put_obj_tags object_meta"),
        ("PUT /b/k?retention", "put_obj_retention object_meta"),
        ("PUT /b/k?legal-hold", "put_obj_legal_hold object_meta"),
        ("DELETE /b/k", "delete_obj delete"),
        ("DELETE /b/k?versionId=1", "delete_obj delete"),
        ("DELETE /b/k?uploads", "delete_obj delete"),
        ("DELETE /b/k?uploadId=1", "abort_multipart delete"),
        ("DELETE /b/k?uploadId=", "delete_obj delete"),
        ("DELETE /b/k?uploadId", "delete_obj delete"),
        ("DELETE /b/k?tagging", "delete_obj_tags object_meta"),
        ("POST /b/k?uploads", "init_multipart multipart"),
        ("POST /b/k?upl%6Fads", "init_multipart multipart"),
        ("POST /b/k?UPLOADS", "post_obj upload"),
        ("POST /b/k?uploadId=1", "complete_multipart multipart"),
        ("POST /b/k?restore", "restore_obj object_meta"),
        ("POST /b/k?select&select-type=2", "get_obj download"),
        ("POST /b/k", "post_obj upload"),
        ("OPTIONS /b/k", "options_cors object_meta"),
        ("COPY /b/k", "none other"),
    ] {
        check(request, &format!("s3 {expected} |b|k"));
    }
}

#[test]
fn the_first_sub_resource_in_rgws_order_wins() {
    check("GET /b?acl&logging", "s3 get_bucket_logging bucket_meta |b|");
    check("GET /b?uploads&acl", "s3 get_acls bucket_meta |b|");
    check("GET /b?encryption&tagging&policy", "s3 get_bucket_policy bucket_meta |b|");
    check("PUT /b?acl&tagging", "s3 put_bucket_tags bucket_meta |b|");
    check("DELETE /b?website&cors", "s3 delete_cors bucket_meta |b|");
    check("POST /b?mdsearch&delete", "s3 multi_object_delete delete |b|");
    check("GET /b/k?tagging&uploadId=1", "s3 list_multipart list |b|k");
    check("DELETE /b/k?uploadId=1&tagging", "s3 delete_obj_tags object_meta |b|k");
    check("POST /b/k?uploads&uploadId=1", "s3 complete_multipart multipart |b|k");
    check("PUT /b/k?tagging&acl", "s3 put_acls object_meta |b|k");
}

#[test]
fn copies_show_by_a_header_only() {
    let classifier = Classifier::new(settings());
    let s3 = |request: &str| classify(&classifier, request, |asked| asked.has_copy_source = true);
    assert_eq!(s3("PUT /b/k"), "s3 copy_obj copy |b|k");
    assert_eq!(s3("PUT /b/k?partNumber=1&uploadId=2"), "s3 put_obj upload |b|k");
    assert_eq!(s3("PUT /b/k?acl"), "s3 put_acls object_meta |b|k");
    assert_eq!(s3("PUT /b"), "s3 create_bucket bucket_meta |b|");
    assert_eq!(s3("GET /b/k"), "s3 get_obj download |b|k");
    let swift = |request: &str| classify(&classifier, request, |asked| asked.has_copy_from = true);
    assert_eq!(swift("PUT /swift/v1/c/o"), "swift copy_obj copy |c|o");
    assert_eq!(swift("PUT /swift/v1/c"), "swift create_bucket bucket_meta |c|");
    assert_eq!(swift("PUT /b/k"), "s3 put_obj upload |b|k");
}

#[test]
fn a_swift_copy_goes_where_its_header_says() {
    let classifier = Classifier::new(settings());
    let to = |request: &str, header: &'static str| {
        classify(&classifier, request, |asked| asked.destination = Some(header.as_bytes()))
    };
    assert_eq!(to("COPY /swift/v1/c/o", "/d/p%20q"), "swift copy_obj copy |d|p q");
    assert_eq!(to("COPY /swift/v1/AUTH_a/c/o", "d/p/q"), "swift copy_obj copy |d|p/q");
    assert_eq!(to("COPY /swift/v1/c/o", "nowhere"), "swift copy_obj copy |c|o");
    assert_eq!(to("COPY /swift/v1/c", "/d/p"), "swift none other |c|");
    assert_eq!(to("PUT /swift/v1/c/o", "/d/p"), "swift put_obj upload |c|o");
    assert_eq!(to("COPY /b/k", "/d/p"), "s3 none other |b|k");
}

#[test]
fn a_form_to_a_swift_container_is_an_upload() {
    let classifier = Classifier::new(settings());
    let form = |request: &str| classify(&classifier, request, |asked| asked.is_form = true);
    assert_eq!(form("POST /swift/v1/c"), "swift post_obj upload |c|");
    assert_eq!(form("POST /swift/v1/c/o"), "swift post_obj upload |c|o");
    assert_eq!(form("POST /swift/v1"), "swift put_account_metadata bucket_meta ||");
    assert_eq!(form("PUT /swift/v1/c/o"), "swift put_obj upload |c|o");
}

#[test]
fn an_older_gateway_does_not_see_newer_sub_resources() {
    use Release::*;
    for request in ["notification", "encryption", "ownershipControls", "accelerate"] {
        check_release(Pacific, &format!("GET /b?{request}"), "s3 list_bucket list |b|");
        check_release(Pacific, &format!("PUT /b?{request}"), "s3 create_bucket bucket_meta |b|");
        check_release(Pacific, &format!("DELETE /b?{request}"), "s3 delete_bucket bucket_meta |b|");
    }
    check_release(Pacific, "GET /b?encryption&uploads", "s3 list_bucket_multiparts list |b|");
    check_release(Pacific, "GET /b/k?attributes", "s3 get_obj download |b|k");
    check_release(Squid, "GET /b/k?attributes&retention", "s3 get_obj_retention object_meta |b|k");
    check_release(Pacific, "POST /b/k?restore", "s3 post_obj upload |b|k");
    check_release(Quincy, "GET /b?encryption", "s3 get_bucket_encryption bucket_meta |b|");
    check_release(Nautilus, "GET /b?publicAccessBlock", "s3 list_bucket list |b|");
    check_release(Octopus, "GET /b?publicAccessBlock", "s3 get_bucket_public_access_block bucket_meta |b|");
    check_release(Mimic, "GET /b/k?retention", "s3 get_obj download |b|k");
    check_release(Mimic, "GET /b/k?tagging", "s3 get_obj_tags object_meta |b|k");
    check_release(Octopus, "POST /b/k?select&select-type=2", "s3 post_obj upload |b|k");
    check_release(Squid, "POST /b?logging", "s3 post_obj upload |b|");
    check_release(Pacific, "GET /admin/info", "admin none admin ||");
    check_release(Quincy, "GET /admin/info", "admin get_info admin ||");
    check_release(Reef, "GET /admin/account", "admin none admin ||");
}

#[test]
fn hosts_name_buckets() {
    let expected = "s3 get_obj download |b|k";
    check("GET /k host=b.s3.test.local", expected);
    check("GET /k host=B.S3.test.LOCAL:8080", "s3 get_obj download |B|k");
    check("GET /b/k host=s3.test.local", expected);
    check("GET /b/k host=s3.test.local:443", expected);
    check("GET /b/k host=10.0.0.1:443", expected);
    check("GET /b/k host=elsewhere.example", "s3 get_obj download |elsewhere.example|b/k");
    check("GET / host=my.dotted.s3.test.local", "s3 list_bucket list |my.dotted|");
    check("PUT / host=b.s3.test.local", "s3 create_bucket bucket_meta |b|");
    check("POST / host=b.s3.test.local", "s3 post_obj upload |b|");
    check("POST /?delete host=b.s3.test.local", "s3 multi_object_delete delete |b|");
    check("GET /?acl host=b.s3.test.local", "s3 get_acls bucket_meta |b|");
    check("GET //k host=b.s3.test.local", "s3 get_obj download |b|/k");
    for path in ["swift/v1/x", "admin/usage", "auth", "info"] {
        check(&format!("GET /{path} host=b.s3.test.local"), &format!("s3 get_obj download |b|{path}"));
    }
}

#[test]
fn websites() {
    check("GET / host=b.web.test.local", "website get_obj website |b|");
    check("HEAD /i.html?acl host=b.web.test.local", "website get_obj website |b|i.html");
    check("GET /?uploads host=b.web.test.local", "website get_obj website |b|");
    check("POST / host=b.web.test.local", "website none website |b|");
    check("GET / host=web.test.local", "website get_obj website ||");
    check("GET /b/k host=web.test.local", "website get_obj website |b|k");
}

#[test]
fn the_host_of_an_absolute_target_is_not_what_the_gateway_goes_by() {
    let path_style = [
        ("GET http://b.s3.test.local/x?acl", "s3 get_acls bucket_meta |x|"),
        ("GET http://user:pw@s3.test.local:80/b/x", "s3 get_obj download |b|x"),
        ("GET https://evil.example/?x", "s3 list_buckets list ||"),
        ("GET http://b.s3.test.local?acl", "s3 list_buckets list ||"),
    ];
    for (request, expected) in path_style {
        check(request, expected);
        check(&format!("{request} host=b.s3.test.local"), expected);
    }
    let classifier = Classifier::new(settings());
    let sent = |request: &str| classify(&classifier, request, |asked| asked.host_as_sent = true);
    assert_eq!(sent("GET http://s3.test.local/x host=b.s3.test.local"), "s3 get_obj download |b|x");
    assert_eq!(sent("GET http://b.s3.test.local/b/x host=s3.test.local"), "s3 get_obj download |b|x");
    assert_eq!(sent("GET http://b.s3.test.local/b/x"), "s3 get_obj download |b|x");
}

#[test]
fn names_are_decoded_once_and_otherwise_as_sent() {
    check("GET /b/a%20b%2Bc+d", "s3 get_obj download |b|a b+c+d");
    check("GET /b/a%252Fb", "s3 get_obj download |b|a%2Fb");
    check("GET /b/a/../c", "s3 get_obj download |b|a/../c");
    check("GET /b/%2e%2e/c", "s3 get_obj download |b|../c");
    check("GET /b//x", "s3 get_obj download |b|/x");
    check("GET /b%2Fx", "s3 get_obj download |b|x");
    check("GET /b/%zz%", "s3 get_obj download |b|%zz%");
    check("GET //admin/usage", "s3 list_buckets list ||admin/usage");
    check("GET /%61dmin/usage", "admin get_usage admin ||");
    check("GET /b/q%3Facl", "s3 get_obj download |b|q?acl");
    check("GET /%C3%A9", "s3 list_bucket list |é|");
}

#[test]
fn tenants() {
    check("GET /acme:b/k", "s3 get_obj download acme|b|k");
    check("GET /acme%3Ab/k", "s3 get_obj download acme|b|k");
    check("GET /:b/k", "s3 get_obj download |b|k");
    check("GET /acme:b", "s3 list_bucket list acme|b|");
    check("GET /a:b:c/k", "s3 get_obj download a|b:c|k");
    check("GET /b/k:l", "s3 get_obj download |b|k:l");
    check("GET /swift/v1/a:b/k", "swift get_obj download |a:b|k");
}

#[test]
fn swift() {
    for (level, rows) in [
        (
            "/swift/v1",
            "GET list_buckets list HEAD stat_account bucket_meta POST put_account_metadata bucket_meta PUT none other \
             DELETE none other COPY none other",
        ),
        (
            "/swift/v1/c",
            "GET list_bucket list HEAD stat_bucket bucket_meta PUT create_bucket bucket_meta POST put_bucket_metadata \
             bucket_meta DELETE delete_bucket bucket_meta OPTIONS options_cors bucket_meta COPY none other",
        ),
        (
            "/swift/v1/c/o",
            "GET get_obj download HEAD get_obj head PUT put_obj upload POST put_obj_metadata object_meta DELETE \
             delete_obj delete COPY copy_obj copy OPTIONS options_cors object_meta",
        ),
    ] {
        let names = level["/swift/v1".len()..].trim_start_matches('/');
        let (container, object) = names.split_once('/').unwrap_or((names, ""));
        let words: Vec<&str> = rows.split_whitespace().collect();
        for row in words.chunks(3) {
            let expected = format!("swift {} {} |{container}|{object}", row[1], row[2]);
            check(&format!("{} {level}", row[0]), &expected);
            let with_account = level.replacen("/v1", "/v1/AUTH_a", 1);
            check(&format!("{} {with_account}", row[0]), &expected);
        }
    }
    check("PUT /swift/v1?extract-archive=tar", "swift bulk_upload upload ||");
    check("PUT /swift/v1/c?extract-archive=tar.gz", "swift bulk_upload upload |c|");
    check("PUT /swift/v1/c/o?extract-archive=tar", "swift bulk_upload upload |c|o");
    check("POST /swift/v1?bulk-delete", "swift bulk_delete delete ||");
    check("DELETE /swift/v1?bulk-delete=1", "swift bulk_delete delete ||");
    check("PUT /swift/v1/c/o?multipart-manifest=put", "swift put_obj upload |c|o");
    check("GET /swift/v1/c/o?temp_url_sig=1&temp_url_expires=2", "swift get_obj download |c|o");
    check("GET /swift/v1/?format=json", "swift list_buckets list ||");
    check("GET /swift/healthcheck", "swift get_health_check health ||");
    check("GET /swift/info", "swift get other ||");
    check("GET /swift/crossdomain.xml", "swift get_crossdomain_policy other ||");
    check("GET /info", "s3 list_bucket list |info|");
    check("GET /swiftx/y", "s3 get_obj download |swiftx|y");
    check("GET /auth/v1.0", "swift-auth swift_auth_get auth ||");
    check("GET /auth/1.0", "swift-auth swift_auth_get auth ||");
    check("GET /auth", "swift-auth swift_auth_get auth ||");
    check("PUT /auth/v1.0", "swift-auth none auth ||");
    check("GET /authx/y", "s3 get_obj download |authx|y");
}

#[test]
fn swift_at_the_root_and_other_prefixes() {
    let root = Classifier::new(ClassifierSettings { swift_prefix: "/".into(), ..settings() });
    for (request, expected) in [
        ("GET /v1/c/o", "swift get_obj download |c|o"),
        ("GET /v1/AUTH_a", "swift list_buckets list ||"),
        ("GET /info", "swift get other ||"),
        ("GET /healthcheck", "swift get_health_check health ||"),
        ("GET /admin/usage", "admin get_usage admin ||"),
        ("GET /auth/v1.0", "swift-auth swift_auth_get auth ||"),
    ] {
        assert_eq!(classify(&root, request, |_| {}), expected, "{request}");
    }
    let other = Classifier::new(ClassifierSettings {
        swift_prefix: "/os/".into(),
        admin_entry: String::new(),
        swift_auth_entry: "login".into(),
        ..settings()
    });
    for (request, expected) in [
        ("GET /os/v1/c", "swift list_bucket list |c|"),
        ("GET /swift/v1", "s3 get_obj download |swift|v1"),
        ("GET /admin/usage", "s3 get_obj download |admin|usage"),
        ("GET /login/v1.0", "swift-auth swift_auth_get auth ||"),
        ("PUT /?x", "s3 none other ||"),
    ] {
        assert_eq!(classify(&other, request, |_| {}), expected, "{request}");
    }
}

#[test]
fn admin_api() {
    for (request, operation) in [
        ("GET /admin/usage", "get_usage"),
        ("GET /admin/usage/?uid=a", "get_usage"),
        ("DELETE /admin/usage", "trim_usage"),
        ("HEAD /admin/usage", "none"),
        ("GET /admin/user?uid=a", "get_user_info"),
        ("GET /admin/user?quota&uid=a", "get_quota_info"),
        ("GET /admin/user?list", "list_user"),
        ("PUT /admin/user?uid=a", "create_user"),
        ("PUT /admin/user?subuser&uid=a", "create_subuser"),
        ("PUT /admin/user?key&uid=a", "create_access_key"),
        ("PUT /admin/user?caps&uid=a", "add_user_caps"),
        ("PUT /admin/user?quota&uid=a", "set_quota_info"),
        ("POST /admin/user?uid=a", "modify_user"),
        ("POST /admin/user?subuser=b", "modify_subuser"),
        ("DELETE /admin/user?uid=a", "remove_user"),
        ("DELETE /admin/user?subuser&uid=a", "remove_subuser"),
        ("DELETE /admin/user?key&uid=a", "remove_access_key"),
        ("DELETE /admin/user?caps&uid=a", "remove_user_caps"),
        ("GET /admin/bucket", "get_bucket_info"),
        ("GET /admin/bucket?index&bucket=b", "check_bucket_index"),
        ("GET /admin/bucket?policy&bucket=b", "get_policy"),
        ("PUT /admin/bucket?bucket=b&uid=a", "link_bucket"),
        ("PUT /admin/bucket?quota&bucket=b", "set_bucket_quota"),
        ("PUT /admin/bucket?sync", "sync_bucket"),
        ("POST /admin/bucket", "unlink_bucket"),
        ("DELETE /admin/bucket", "remove_bucket"),
        ("DELETE /admin/bucket?object&object=k", "remove_object"),
        ("GET /admin/config?type=zone", "get_zone_config"),
        ("GET /admin/config?type=zonegroup-map", "get_zonegroup_map"),
        ("GET /admin/config", "get_region_map"),
        ("GET /admin/info", "get_info"),
        ("GET /admin/ratelimit", "get_ratelimit_info"),
        ("POST /admin/ratelimit", "put_ratelimit_info"),
        ("GET /admin/account?id=1", "get_account"),
        ("POST /admin/account", "create_account"),
        ("PUT /admin/account", "modify_account"),
        ("DELETE /admin/account", "delete_account"),
        ("GET /admin", "none"),
        ("GET /admin/nosuch", "none"),
        ("GET /admin/usagex", "none"),
    ] {
        check(request, &format!("admin {operation} admin ||"));
    }
    check("GET /adminx", "s3 list_bucket list |adminx|");
}

#[test]
fn multisite_is_sync() {
    for (request, operation) in [
        ("GET /admin/metadata/user", "list_metadata"),
        ("GET /admin/metadata?key=a", "get_metadata"),
        ("GET /admin/metadata/user?key=a", "get_metadata"),
        ("PUT /admin/metadata/user?key=a", "set_metadata"),
        ("DELETE /admin/metadata/user?key=a", "remove_metadata"),
        ("GET /admin/log?type=metadata", "get_metadata_log_info"),
        ("GET /admin/log?type=metadata&id=1", "list_metadata_log"),
        ("GET /admin/log?type=metadata&id=1&info", "get_metadata_log_shard_info"),
        ("GET /admin/log?type=metadata&status", "get_metadata_log_status"),
        ("POST /admin/log?type=metadata&lock", "lock_mdlog_object"),
        ("POST /admin/log?type=metadata&unlock", "unlock_mdlog_object"),
        ("POST /admin/log?type=metadata&notify", "mdlog_notify"),
        ("DELETE /admin/log?type=metadata", "trim_metadata_log"),
        ("GET /admin/log?type=data&info", "get_data_changes_log_info"),
        ("GET /admin/log?type=data&id=1", "list_data_changes_log"),
        ("GET /admin/log?type=data&id=1&info", "get_data_changes_log_shard_info"),
        ("GET /admin/log?type=data&status", "get_data_changes_log_status"),
        ("POST /admin/log?type=data&notify", "datalog_notify"),
        ("POST /admin/log?type=data&notify2", "datalog_notify2"),
        ("DELETE /admin/log?type=data", "trim_data_changes_log"),
        ("GET /admin/log?type=bucket-index", "list_bucket_index_log"),
        ("GET /admin/log?type=bucket-index&info", "bucket_index_log_info"),
        ("GET /admin/log?type=bucket-index&status", "get_bucket_index_log_status"),
        ("DELETE /admin/log?type=bucket-index", "trim_bucket_index_log"),
        ("GET /admin/log", "none"),
        ("GET /admin/realm", "get_realm"),
        ("GET /admin/realm?list", "list_realms"),
        ("GET /admin/realm/period?period_id=1", "get_period"),
        ("POST /admin/realm/period", "post_period"),
    ] {
        check(request, &format!("admin {operation} sync ||"));
    }
    check("GET /b/k?rgwx-zonegroup=z&rgwx-prepend-metadata=z", "s3 get_obj sync |b|k");
    check("GET /b/k?x=rgwx-zonegroup", "s3 get_obj download |b|k");
}

#[test]
fn health_checks() {
    let list = "s3 list_buckets list ||";
    let health = "s3 list_buckets health ||";
    check("GET /", health);
    check("HEAD /", health);
    check("GET / host=s3.test.local", health);
    check("GET /?X-Amz-Signature=1", list);
    check("GET //", list);
    check("GET / host=b.s3.test.local", "s3 list_bucket list |b|");
    let classifier = Classifier::new(settings());
    for (status, expected) in
        [(400, list), (401, list), (403, list), (404, health), (499, health), (503, health)]
    {
        assert_eq!(classify(&classifier, "GET /", |asked| asked.status = status), expected, "{status}");
    }
    for (agent, expected) in
        [("Boto3/1.26", list), ("aws-cli/2", list), ("curl/8", health), ("kube-probe/1.29", health)]
    {
        assert_eq!(
            classify(&classifier, "GET /", |asked| asked.user_agent = Some(agent.as_bytes())),
            expected,
            "{agent}"
        );
    }

    let strict = Classifier::new(ClassifierSettings {
        health: HealthSettings {
            root: false,
            addresses: vec!["10.0.0.9".into(), "10.0.0.10".into(), "::1".into()],
            paths: vec!["/b/alive%21".into()],
            user_agents: vec![regex::bytes::Regex::new("(?-u)^Probe/[0-9]").unwrap()],
        },
        ..settings()
    });
    assert_eq!(classify(&strict, "GET /", |_| {}), list);
    assert_eq!(classify(&strict, "GET /b/alive%21?x", |_| {}), "s3 get_obj health |b|alive!");
    assert_eq!(classify(&strict, "GET /b/alive!", |_| {}), "s3 get_obj download |b|alive!");
    for (address, expected) in [("10.0.0.10", "health"), ("10.0.0.1", "upload"), ("::1", "health")] {
        let got = classify(&strict, "PUT /b/k", |asked| asked.remote_addr = Some(address.as_bytes()));
        assert_eq!(got, format!("s3 put_obj {expected} |b|k"));
    }
    let probe = |request: &str| classify(&strict, request, |asked| asked.user_agent = Some(b"Probe/1 \xFF"));
    assert_eq!(probe("PUT /b/k"), "s3 put_obj health |b|k");
    assert_eq!(probe("\x16\x03\x01"), "none none health ||");
}

#[test]
fn what_is_not_a_request_is_invalid_and_has_no_names() {
    for request in [
        "",
        "GET",
        "G",
        "get /b/k",
        "Get /b/k",
        "PATCH /b/k",
        "TRACE /",
        "PRI *",
        "GET *",
        "OPTIONS *",
        "CONNECT example.com:443",
        "GET nopath",
        "GET ftp://h/x",
        "\x16\x03\x01\x02 x",
        " /b",
    ] {
        check(request, "none none invalid ||");
    }
}

#[test]
fn statuses_that_only_nginx_gives() {
    let classifier = Classifier::new(settings());
    for (request, status, expected) in [
        ("GET /b/k", 414, "none none invalid ||"),
        ("GET /", 505, "none none invalid ||"),
        ("GET /%00", 400, "none none invalid ||"),
        ("GET /%zz", 400, "none none invalid ||"),
        ("GET /a\tb", 400, "none none invalid ||"),
        ("PUT /b/k", 400, "s3 put_obj upload |b|k"),
        ("PUT /b/k", 413, "s3 put_obj upload |b|k"),
        ("PUT /b/k", 499, "s3 put_obj upload |b|k"),
        ("GET /b/k%00", 404, "s3 get_obj download |b|k\0"),
    ] {
        assert_eq!(
            classify(&classifier, request, |asked| asked.status = status),
            expected,
            "{request} {status}"
        );
    }
}

#[test]
fn every_operation_has_a_class_of_its_protocol() {
    for &operation in Operation::ALL {
        let class = class::class(operation, Method::Get, true);
        let nothing =
            matches!(operation, Operation::None | Operation::GetInfo | Operation::GetCrossdomainPolicy);
        assert_eq!(class == Class::Other, nothing, "{operation}");
        assert!(!matches!(class, Class::Invalid | Class::Website | Class::Sts), "{operation}");
    }
}

#[test]
fn names_borrow_from_the_request_unless_decoded() {
    let classifier = Classifier::new(settings());
    let mut scratch = Vec::new();
    let asked = Asked { method: b"GET", uri: b"/bucket/key?acl", status: 200, ..Asked::default() };
    let bucket = classifier.classify(&asked, &mut scratch).bucket;
    assert_eq!(bucket.as_ptr(), asked.uri[1..].as_ptr());
    assert!(scratch.is_empty() && scratch.capacity() == 0);

    let mut decoded = |uri: &str| {
        let asked = Asked { method: b"GET", uri: uri.as_bytes(), status: 200, ..Asked::default() };
        let object = classifier.classify(&asked, &mut scratch).object;
        (String::from_utf8_lossy(object).into_owned(), scratch.as_ptr())
    };
    let (first, place) = decoded("/bucket/a%20long%20key");
    assert_eq!(first, "a long key");
    assert_eq!(
        decoded("/bucket/k%20"),
        ("k ".to_owned(), place),
        "the same buffer again, its old contents gone"
    );
}

#[test]
fn what_nearly_all_requests_are_is_plain() {
    let classifier = Classifier::new(ClassifierSettings::default());
    let is_plain = |uri: &str, agent: Option<&'static [u8]>, status| {
        let (method, uri, user_agent) = (&b"GET"[..], uri.as_bytes(), agent);
        let plain = PlainTarget::of(method, uri);
        let record = Record { method, uri, plain, user_agent, status, ..Record::default() };
        classifier.classify_plainly(&record).is_some()
    };
    let plain = [
        "/bucket/key",
        "/bucket",
        "/bucket/",
        "/bucket/key?uploadId=1&partNumber=2",
        "/bucket/a%20key",
        "/audit/key",
        "/logs",
    ];
    for uri in plain {
        assert!(is_plain(uri, None, 200), "{uri}");
    }
    for uri in
        ["/", "/?usage", "/buck%65t/key", "/tenant:bucket/key", "/swift/v1/c/o", "/admin/user", "*", ""]
    {
        assert!(!is_plain(uri, None, 200), "{uri}");
    }
    assert!(!is_plain("/bucket/key", None, 400), "nginx may have refused it");

    let classifier = Classifier::new(settings());
    let is_plain_at = |host: &str| {
        let (method, uri, host) = (&b"GET"[..], &b"/bucket/key"[..], Some(host.as_bytes()));
        let record = Record { method, uri, plain: PlainTarget::of(method, uri), host, ..Record::default() };
        let plainly = classifier.classify_plainly(&record);
        let asked = Asked { method, uri, host, ..Asked::default() };
        assert!(plainly.is_none_or(|what| what == classifier.classify(&asked, &mut Vec::new())), "{host:?}");
        plainly.is_some()
    };
    assert!(is_plain_at("s3.test.local") && is_plain_at("S3.test.local:8080") && is_plain_at("192.0.2.1"));
    assert!(!is_plain_at("b.s3.test.local") && !is_plain_at("web.test.local") && !is_plain_at("other.local"));
}

proptest! {
    #[test]
    fn any_bytes_are_classified_and_nothing_grows(
        method in prop_oneof![
            proptest::sample::select(vec!["GET", "PUT", "HEAD", "POST", "DELETE", "OPTIONS", "COPY"])
                .prop_map(|method| method.as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 0..9),
        ],
        start in proptest::sample::select(vec!["", "/", "http://", "/swift", "/admin/", "/auth/", "/swift/v1/AUTH_", "/b/"]),
        rest in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"/?%&=:@.+".to_vec())], 0..60),
        host in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30)),
        website in any::<bool>(),
        status in any::<u16>(),
    ) {
        let classifier = Classifier::new(settings());
        let uri = [start.as_bytes(), &rest].concat();
        let host = host.map(|mut host| {
            host.extend_from_slice(if website { b".web.test.local" } else { b".s3.test.local" });
            host
        });
        let asked = Asked { method: &method, uri: &uri, host: host.as_deref(), status, ..Asked::default() };
        let mut scratch = Vec::new();
        let found = classifier.classify(&asked, &mut scratch);
        let length = found.tenant.len() + found.bucket.len() + found.object.len();
        prop_assert!(length <= uri.len() + host.as_ref().map_or(0, Vec::len));
        let record = Record {
            method: &method,
            uri: &uri,
            plain: PlainTarget::of(&method, &uri),
            host: host.as_deref(),
            status,
            ..Record::default()
        };
        for classifier in [&classifier, &Classifier::new(ClassifierSettings::default())] {
            let mut scratch = Vec::new();
            if let Some(plainly) = classifier.classify_plainly(&record) {
                let mut key = Vec::new();
                percent::decode(plainly.object, &mut key);
                let plainly = Classified { object: &key, ..plainly };
                prop_assert_eq!(plainly, classifier.classify(&asked, &mut scratch), "the short way is of another opinion");
            }
        }
        if found.class == Class::Invalid {
            prop_assert_eq!(found, Classified { class: Class::Invalid, ..NOTHING });
        }
    }

    #[test]
    fn an_encoded_path_means_what_the_plain_one_means(path in "[a-z:/.-]{0,20}", encode in any::<u32>()) {
        let classifier = Classifier::new(settings());
        let encoded: String = path.bytes().enumerate().map(|(at, byte)| {
            if encode >> (at % 32) & 1 == 1 { format!("%{byte:02x}") } else { char::from(byte).to_string() }
        }).collect();
        prop_assert_eq!(
            classify(&classifier, &format!("GET /{encoded}"), |_| {}),
            classify(&classifier, &format!("GET /{path}"), |_| {})
        );
    }
}

#[test]
fn our_own_probe_is_recognised_by_proof_or_by_address() {
    let key = MarkKey::new(b"shared");
    let probe = ProbeSettings { key: Some(key.clone()), addresses: vec!["192.0.2.9".into()] };
    let probes = Classifier::new(ClassifierSettings { probe, ..settings() });
    let seconds = 1_795_300_000;
    let round = ProbeMark::round(seconds, 1);
    let agent = |key: Option<&MarkKey>| ProbeMark::user_agent(&round, "put", key);
    let (genuine, forged, bare) = (agent(Some(&key)), agent(Some(&MarkKey::new(b"guessed"))), agent(None));
    let check = |classifier: &Classifier, agent: &str, from: &[u8], expected: &str| {
        let asked = |asked: &mut Asked<'_>| asked.time_ms = seconds as i64 * 1000;
        let got = classify(classifier, "PUT /bucket/key", |a| {
            asked(a);
            // Outlives the closure's own borrow: the tests' strings are leaked, a few bytes each.
            a.user_agent = Some(Box::leak(agent.as_bytes().into()));
            a.remote_addr = Some(Box::leak(from.into()));
        });
        assert_eq!(got, expected, "{agent}");
    };
    let (ours, users) = ("s3 put_obj probe ||", "s3 put_obj upload |bucket|key");
    check(&probes, &genuine, b"192.0.2.1", ours);
    check(&probes, &forged, b"192.0.2.1", users);
    check(&probes, &bare, b"192.0.2.1", users);
    check(&probes, &bare, b"192.0.2.9", ours);
    check(&probes, "curl/8", b"192.0.2.9", users);
    check(&Classifier::new(settings()), &genuine, b"192.0.2.9", users);
}
