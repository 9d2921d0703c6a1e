SELECT {orders};
