DROP TABLE orders_not_taken;
