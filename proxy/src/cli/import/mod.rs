//! `holdfast import`

mod loading;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use sha2::{Digest, Sha256};

use super::output::say;
use super::servers;
use crate::catalogue::cache::Catalogue;
use crate::catalogue::stock_change::AdjustmentId;
use crate::config::Config;
use crate::retail::account::Outcome;
use crate::retail::goods::{Assortment, Stocking, assort};
use crate::retail::report;
use crate::retail::sheet::{Form, Sheet};
use loading::{Loaded, Loading};

/// Load products and their stock from a CSV file.
///
/// They go into MySQL and Redis; the shop may be open meanwhile. Two forms are read, told apart by
/// the first line:
///
/// The shop's own form: sku,name,description,price,currency,stock
///
/// The Online Retail form: InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country.
/// A product has the first description and the first price that a sale or a cancellation of it
/// states, and as much stock as all sales together take. Postage and other codes that are no goods
/// (goods have five digits, with letters behind), write-offs (negative quantities outside
/// cancellations) and lines without a price make no product.
///
/// Every row is accounted for at the end. One that cannot be read is named by its line and does not
/// stop the run. Importing the same file with the same options again changes nothing. A product that is
/// retired stays so.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The CSV file, UTF-8; a byte-order mark is allowed.
    file: PathBuf,
    /// Stock this many percent of the units that the sales take, rounded down: 100 lets every sale
    /// be replayed, less makes a rush with refusals. Only for the Online Retail form.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    stock_percent: u32,
    /// The currency of the prices, three capital letters. Only for the Online Retail form: the
    /// shop's own states it row by row.
    #[arg(long, value_name = "CODE", default_value = "GBP", value_parser = currency)]
    currency: String,
}

const EXAMPLES: &str = "\
Examples:
  holdfast --config shop.toml import goods.csv
  holdfast --config shop.toml import online-retail.csv
  holdfast --config shop.toml import online-retail.csv --stock-percent 80";

pub(super) async fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    let sheet = Sheet::open(&options.file)?;
    let stocking = Stocking {
        currency: options.currency.clone(),
        percent: options.stock_percent,
    };
    let Assortment {
        goods,
        malformed,
        mut account,
    } = assort(&sheet, &stocking);
    eprint!("{}", report::malformed_rows(&malformed));
    let (store, gateway) = (
        servers::store(config).await?,
        servers::gateway(config).await?,
    );
    let loading = Loading {
        catalogue: Catalogue::new(
            store.clone(),
            gateway.clone(),
            &config.catalogue,
            Arc::default(),
        ),
        store,
        gateway,
        adjustment_id: adjustment_id(&sheet, &stocking)?,
    };
    let loaded = loading.load(&goods).await.context(
        "the import stopped; what was loaded stays, and the command may be repeated: it adds only what is missing",
    )?;
    loaded.settle(&goods, &mut account);

    say(format_args!(
        "import of {}\n{}{}",
        options.file.display(),
        report::summary(&account, currency_of(&sheet, &options.currency)),
        tell(&loaded, loading.adjustment_id.as_str()).trim_end(),
    ))?;
    ensure!(
        account.gaps().is_empty(),
        "the account does not add up to the file; this is a fault of holdfast"
    );
    match account.count(Outcome::Failed) {
        0 => Ok(()),
        failed => bail!("the stock of {failed} rows could not be loaded; see 'failed' above"),
    }
}

/// The same for the same file and options, so that a repetition adds nothing.
fn adjustment_id(sheet: &Sheet, stocking: &Stocking) -> anyhow::Result<AdjustmentId> {
    let mut digest = Sha256::new_with_prefix(&sheet.bytes);
    if sheet.form == Form::Retail {
        digest.update(stocking.percent.to_be_bytes());
    }
    let digest: String = digest
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("import:{digest}").parse()?)
}

fn tell(loaded: &Loaded, adjustment_id: &str) -> String {
    let Loaded {
        new,
        changed,
        unchanged,
        stocked,
        stocked_before,
        waiting_for_redis,
        untold,
        ..
    } = loaded;
    let mut text = format!("products: {new} new, {changed} changed, {unchanged} as they were\n");
    let units = report::grouped(loaded.units.unsigned_abs());
    if *stocked == 0 && *stocked_before > 0 {
        text += "stock: nothing added, because this file was imported before with the same options";
    } else {
        text += &format!("stock: {units} units of {stocked} products added");
        if *stocked_before > 0 {
            text += &format!("; {stocked_before} products had theirs from an earlier run");
        }
    }
    text += &format!(" ({adjustment_id})\n");
    if *waiting_for_redis > 0 {
        text += &format!(
            "note: {waiting_for_redis} products wait for Redis; 'holdfast serve' delivers their stock\n"
        );
    }
    if *untold > 0 {
        text += &format!(
            "note: Redis was not told of {untold} products; what proxies keep of them ends by itself\n"
        );
    }
    text
}

fn currency_of<'a>(sheet: &Sheet, option: &'a str) -> &'a str {
    // The shop's own form may mix currencies, and a sum of these has none.
    if sheet.form == Form::Retail {
        option
    } else {
        ""
    }
}

fn currency(text: &str) -> Result<String, String> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(text.to_owned())
    } else {
        Err("a currency is three capital letters, such as GBP".into())
    }
}
