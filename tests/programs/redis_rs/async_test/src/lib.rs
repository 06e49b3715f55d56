//! The attribute `async_test` of redis-rs's tests. Its own crate for that is not published.
//!
//! The function becomes a test that runs on tokio. One that takes a connection gets that of a new
//! server; one that takes a flag becomes two tests.

use proc_macro::{TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn async_test(_: TokenStream, item: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = item.clone().into_iter().collect();
    let at = tokens.iter().position(|token| token.to_string() == "fn").expect("a function");
    let (name, parameters) = (tokens[at + 1].to_string(), tokens[at + 2].to_string());
    if parameters.trim_matches(['(', ')']).trim().is_empty() {
        test(&item, &name, &name, "", "")
    } else if parameters.contains("bool") {
        let tests = [("off", "false"), ("on", "true")]
            .map(|(end, flag)| test(&item, &name, &format!("{name}_{end}"), "", flag));
        tests.into_iter().collect()
    } else {
        let start = "let context = crate::support::TestContext::new();
                     let connection = context.async_connection().await.unwrap();";
        test(&item, &name, &name, start, "connection")
    }
}

fn test(item: &TokenStream, name: &str, test_name: &str, start: &str, argument: &str) -> TokenStream {
    let text = format!(
        "#[test] fn {test_name}() {{
            {item}
            crate::support::block_on_all(
                async {{ {start} {name}({argument}).await; }},
                crate::support::RuntimeType::Tokio,
            );
        }}"
    );
    text.parse().expect("a test")
}
