//! The attribute `async_test` of redis-rs's tests, which is not published: makes tests of an async function,
//! on tokio. One that takes a connection is run with both kinds of it, and one that takes a bool with both.

use proc_macro::{Delimiter, TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn async_test(_: TokenStream, function: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = function.clone().into_iter().collect();
    let at = tokens.iter().position(|token| token.to_string() == "fn").expect("a function");
    let name = tokens[at + 1].to_string();
    let arguments = tokens[at + 2..]
        .iter()
        .find_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
                Some(group.stream().to_string())
            }
            _ => None,
        })
        .expect("arguments");
    // A condition on the function holds for its tests, too.
    let attributes: TokenStream =
        tokens.iter().take_while(|token| token.to_string() != "async").cloned().collect();
    let test = |suffix: &str, future: &str| {
        format!(
            "{attributes} #[test] fn {name}_{suffix}() {{ block_on_all({future}, RuntimeType::Tokio); }}"
        )
    };
    let connected = |suffix: &str, get: &str| {
        let future =
            format!("let ctx = TestContext::new(); {name}(ctx.{get}().await.unwrap()).await");
        test(suffix, &format!("async move {{ {future} }}"))
    };
    let tests = if arguments.is_empty() {
        test("tokio", &format!("{name}()"))
    } else if arguments.contains("impl") {
        connected("multiplexed", "async_connection")
            + &connected("manager", "client.get_connection_manager")
    } else {
        test("true", &format!("{name}(true)")) + &test("false", &format!("{name}(false)"))
    };
    function.into_iter().chain(tests.parse::<TokenStream>().unwrap()).collect()
}
