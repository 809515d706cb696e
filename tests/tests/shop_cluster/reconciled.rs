//! `holdfast reconcile`, as an operator types it.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use holdfast_tests::proxy::binary;
use holdfast_tests::stack::Stack;
use tokio::task::block_in_place;

use super::{PLENTY, SKUS, STACK, assert_sound, counted, neighbours, slot, whole};

#[tokio::test(flavor = "multi_thread")]
async fn drift_on_any_node_is_found_and_put_right_by_command() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = whole(&stack).await?;
    for sku in SKUS {
        // Not what the other tests left, which is right, and of which each has its own.
        shop.set_stock(sku, PLENTY).await?;
    }
    let cluster = stack.cluster()?;
    let (here, elsewhere) = neighbours(cluster, SKUS[0])?;
    let (low, lost) = (here[0], elsewhere[0]);
    let tell = |sku: &str, words: &[&str]| {
        let node = cluster.owner(slot(cluster, sku)?)?;
        let mut command = redis::cmd(words[0]);
        command.arg(format!("inv:{{{sku}}}")).arg(&words[1..]);
        anyhow::Ok(command.query::<redis::Value>(&mut node.connection()?)?)
    };
    block_in_place(|| {
        let (code, said) = reconcile(&stack, &[])?;
        ensure!(code == 0 && said.contains(" 0 wrong"), "{code}: {said}");
        tell(low, &["INV.ADJUST", "-7"])?;
        tell(lost, &["DEL"])?;
        let (code, said) = reconcile(&stack, &[])?;
        let names = said.contains(low) && said.contains(lost);
        ensure!(
            code == 1 && names && said.contains(" 2 wrong, 0 of them fixed"),
            "{code}: {said}"
        );
        let (code, said) = reconcile(&stack, &["--sku", lost])?;
        ensure!(
            code == 1 && said.contains("1 products compared: 1 wrong"),
            "{code}: {said}"
        );
        let (code, said) = reconcile(&stack, &["--fix"])?;
        ensure!(
            code == 0 && said.contains(" 2 wrong, 2 of them fixed"),
            "{code}: {said}"
        );
        for sku in [low, lost] {
            let node = cluster.owner(slot(cluster, sku)?)?;
            ensure!(counted(node, sku, "on_hand")? == PLENTY, "{sku}");
        }
        let (code, said) = reconcile(&stack, &[])?;
        ensure!(code == 0 && said.contains(" 0 wrong"), "{code}: {said}");
        assert_sound(&stack)
    })
}

/// With nothing but the shop's own file: its exit code, and what it said.
fn reconcile(stack: &Stack, arguments: &[&str]) -> Result<(i32, String)> {
    let mut command = Command::new(binary()?);
    command.arg("--config").arg(stack.proxy.config_path());
    let output = command.arg("reconcile").args(arguments).output()?;
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().context("it was killed")?;
    Ok((code, String::from_utf8(said)?))
}
