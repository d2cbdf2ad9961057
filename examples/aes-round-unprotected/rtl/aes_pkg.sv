// The steps of AES, FIPS 197. The first byte of a block is the most significant; byte r + 4c is in
// row r and column c of the state.
package aes_pkg;

  typedef logic [15:0][7:0] block_t;
  typedef logic [31:0] word_t;

  // FIPS 197, section 5.1.1, figure 7, row by row: the value of 0 is the first.
  localparam logic [255:0][7:0] SBOX = {
    128'h637c777bf26b6fc53001672bfed7ab76, 128'hca82c97dfa5947f0add4a2af9ca472c0,
    128'hb7fd9326363ff7cc34a5e5f171d83115, 128'h04c723c31896059a071280e2eb27b275,
    128'h09832c1a1b6e5aa0523bd6b329e32f84, 128'h53d100ed20fcb15b6acbbe394a4c58cf,
    128'hd0efaafb434d338545f9027f503c9fa8, 128'h51a3408f929d38f5bcb6da2110fff3d2,
    128'hcd0c13ec5f974417c4a77e3d645d1973, 128'h60814fdc222a908846eeb814de5e0bdb,
    128'he0323a0a4906245cc2d3ac629195e479, 128'he7c8376d8dd54ea96c56f4ea657aae08,
    128'hba78252e1ca6b4c6e8dd741f4bbd8b8a, 128'h703eb5664803f60e613557b986c11d9e,
    128'he1f8981169d98e949b1e87e9ce5528df, 128'h8ca1890dbfe6426841992d0fb054bb16
  };

  function automatic logic [7:0] sub_byte(logic [7:0] value);
    return SBOX[8'd255 - value];
  endfunction

  // value * x in GF(2^8).
  function automatic logic [7:0] xtime(logic [7:0] value);
    return {value[6:0], 1'b0} ^ (value[7] ? 8'h1b : 8'h00);
  endfunction

  // Where the byte of a row and a column, both modulo 4, is in a block.
  function automatic logic [3:0] place(int unsigned row, int unsigned column);
    return 4'(15 - (row % 4 + 4 * (column % 4)));
  endfunction

  // SubBytes, then ShiftRows: row r moves left by r columns.
  function automatic block_t sub_and_shift(block_t state);
    block_t result;
    for (int unsigned row = 0; row < 4; row++) begin
      for (int unsigned column = 0; column < 4; column++) begin
        result[place(row, column)] = sub_byte(state[place(row, column + row)]);
      end
    end
    return result;
  endfunction

  // MixColumns: each byte a becomes 2 a + 3 b + c + d, where b, c, d are below it in its column.
  function automatic block_t mix_columns(block_t state);
    block_t result;
    for (int unsigned row = 0; row < 4; row++) begin
      for (int unsigned column = 0; column < 4; column++) begin
        result[place(row, column)] =
            xtime(state[place(row, column)] ^ state[place(row + 1, column)])
            ^ state[place(row + 1, column)] ^ state[place(row + 2, column)]
            ^ state[place(row + 3, column)];
      end
    end
    return result;
  endfunction

  // The round key after `key`, FIPS 197, section 5.2.
  function automatic logic [127:0] next_key(logic [127:0] key, logic [7:0] rcon);
    word_t w0, w1, w2, w3;
    w0 = key[127:96] ^ {sub_byte(key[23:16]) ^ rcon, sub_byte(key[15:8]), sub_byte(key[7:0]),
                        sub_byte(key[31:24])};
    w1 = key[95:64] ^ w0;
    w2 = key[63:32] ^ w1;
    w3 = key[31:0] ^ w2;
    return {w0, w1, w2, w3};
  endfunction

endpackage
