-- A SKU that Holdfast cannot read would stop whoever walks through all products.
ALTER TABLE products
    ADD CONSTRAINT products_sku_readable
    CHECK (sku REGEXP '^[A-Z0-9]' AND sku NOT REGEXP '[^A-Z0-9._-]');
