DROP TABLE instances;
DROP TABLE boards;
