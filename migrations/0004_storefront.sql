-- What the whole storefront keeps: the catalogue's life, carts, people, the history of orders.

ALTER TABLE products
    -- A retired product is neither listed nor sold; carts and orders that have it still name it.
    ADD COLUMN retired_at DATETIME(3) NULL,
    -- The most units that one buyer may ever have of a drop.
    ADD COLUMN buyer_limit BIGINT NULL;

ALTER TABLE orders
    -- 1 when the order was made of its buyer's cart, which its sale empties.
    ADD COLUMN from_cart TINYINT NOT NULL DEFAULT 0;
