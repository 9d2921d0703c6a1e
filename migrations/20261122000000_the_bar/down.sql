DROP TABLE dead_letters;
DROP TABLE order_moves;
DROP TABLE order_lines;
DROP TABLE orders;
DROP TABLE recipes;
DROP TABLE users;
DROP TABLE settings;
